"""What `audioldm-daw COMMAND` does, for the commands that need no running server."""
