"""Models from the Hugging Face Hub or from files: added, listed, verified, removed."""
