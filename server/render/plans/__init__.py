"""Plans of all kinds of job, a module a family. Importing this package registers them."""

from server.render.plan import plan
from server.render.plans import continuation, fill, inpaint, sound, transfer, upscale, variation

__all__ = ["continuation", "fill", "inpaint", "plan", "sound", "transfer", "upscale", "variation"]
