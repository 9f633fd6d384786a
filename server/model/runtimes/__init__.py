"""What computes the graphs of a model: the choice, OpenVINO, and its compiled graphs on disk."""
