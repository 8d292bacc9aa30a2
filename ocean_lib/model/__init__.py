"""Model: the U-Net, the noise process, sampling, the background, training and the checkpoint.

`Densifier` holds all that its use needs; `train` fits it on `Scenes` of a store.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "background": ["Background", "fit_background"],
        "densifier": ["Densifier"],
        "diffusion": ["Diffusion"],
        "scenes": ["Scenes"],
        "training": ["stages", "train"],
        "unet": ["UNet"],
    },
)
