"""What a sound file holds besides its samples: markers, loops, time code, names, recipes."""
