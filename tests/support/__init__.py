"""What the tests share: real sockets, scripted answers."""
