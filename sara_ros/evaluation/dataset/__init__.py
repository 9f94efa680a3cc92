"""LeRobot data sets from bags."""
