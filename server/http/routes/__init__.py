"""One module a noun of the HTTP interface."""
