"""Where people look at runs: each module writes the lines of a log for another program. ``_board`` says what it has to offer."""
