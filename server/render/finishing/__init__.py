"""What is done to a new sound before it is delivered: band, width, rumble, shape and level."""
