"""The stream: endless sound that follows its prompt."""
