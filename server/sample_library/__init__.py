"""The user's own sounds: folders that are indexed, searched by words and by sound, and played."""
