"""Response surfaces over the numeric settings of a factorial sweep."""

from olmix.fit.surface.pipeline import SurfaceResult, fit_surface

__all__ = ["SurfaceResult", "fit_surface"]
