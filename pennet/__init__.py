"""PEN-Net image inpainting: models, losses, training, metrics. A plain torch library."""
