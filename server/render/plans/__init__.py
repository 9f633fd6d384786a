"""One module a family of jobs; importing this package registers them all with ``plan``."""

from server.render.plan import plan
from server.render.plans import continuation, inpaint, sound, transfer, upscale, variation

__all__ = ["continuation", "inpaint", "plan", "sound", "transfer", "upscale", "variation"]
