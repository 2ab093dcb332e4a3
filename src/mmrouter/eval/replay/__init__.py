"""What would I have saved? Every decision over a log, by the router's planner; nobody is called."""
