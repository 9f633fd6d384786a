"""What each OSC message does."""
