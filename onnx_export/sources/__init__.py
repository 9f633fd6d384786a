"""Where networks come from: published checkpoints, folders, drawn weights."""
