"""The sounds that are learned from: files, captions, crops, credits."""
