"""One module a family of jobs; importing this package registers them all with ``plan``."""

from server.plan import plan
from server.plans import continuation, inpaint, sound, transfer, upscale, variation

__all__ = ["continuation", "inpaint", "plan", "sound", "transfer", "upscale", "variation"]
