"""The OSC port: sockets, clients, bundles, and the dispatch to handlers."""
