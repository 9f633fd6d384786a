"""The life of a job: submission, queue, book, journal, and the library of takes."""
