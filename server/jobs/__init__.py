"""The life of a job, from the promise to the take that is kept."""
