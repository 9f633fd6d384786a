"""The listening companion: what comes in is measured, and what plays makes room for it."""
