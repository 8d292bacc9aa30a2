"""Sources: where fields come from.

The catalogue of products with their licences, downloads from Copernicus Marine, the surface as
satellites see it, and the synthetic demo ocean.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["SOURCES", "Source"],
        "demo_ocean": ["simulate"],
        "download": ["Planned", "credit_and_licence", "fetch", "needed_months"],
        "satellites": ["seen_from_above"],
    },
)
