"""The training sounds: files, captions, crops, credits."""
