"""OSCQuery: the address table over HTTP and WebSocket, announced on the network."""
