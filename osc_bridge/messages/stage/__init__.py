"""Messages of the stage: what plays, and the clock."""
