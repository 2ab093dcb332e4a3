"""`python -m mmrouter`."""

from mmrouter.cli.main import main

if __name__ == "__main__":
    main()
