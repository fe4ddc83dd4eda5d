"""The expected values of metric_test.go, by scikit-image 0.26 (numpy 2.4, scipy 1.17):

    pip install scikit-image && python3 metrics.py
"""
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def pair(height, width, channels, strength):
    """Two images of whole gray levels, by formulas that the test repeats."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    a = (3 * x + 5 * y + 40 * c + (x * y) % 31 + 60 * ((x // 8 + y // 6) % 2)) % 256
    b = np.clip(a + strength * ((7 * x + 11 * y + 13 * c + x * y) % 9 - 4), 0, 255)
    return a.astype(np.float64), b.astype(np.float64)


for height, width, channels, strength in [(40, 56, 1, 1), (40, 56, 1, 6), (11, 11, 1, 3), (33, 20, 3, 4)]:
    a, b = pair(height, width, channels, strength)
    ssim = structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2)
    print(f"{{{height}, {width}, {channels}, {strength}, {peak_signal_noise_ratio(a, b, data_range=255):.9f}, {ssim:.9f}}},")
