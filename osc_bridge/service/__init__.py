"""The OSC port: sockets, clients, bundles, and the way to the handlers."""
