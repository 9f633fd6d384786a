"""What may be said over OSC: one class an address."""
