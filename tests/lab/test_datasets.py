import gzip
import struct

import numpy as np
import pytest

from steadytrain.core.errors import UsageError
from steadytrain.lab.datasets import digits, load, read_folder


def write(path, array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()))


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for name, count in (("train", 20), ("t10k", 10)):
        images = random.integers(0, 256, (count, 5, 5), dtype=np.uint8)
        write(tmp_path / f"{name}-images-idx3-ubyte.gz", images)
        write(tmp_path / f"{name}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10)
    return tmp_path


def test_the_digits_are_the_published_ones():
    data = digits()
    assert data.line == "digits (embedded): 1,437 training and 360 test images of 8x8"
    labels = np.concatenate([data.train_labels, data.test_labels])
    published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == published
    assert data.train_images.max() == 16


def test_every_class_gives_a_fifth_of_its_digits_to_the_test():
    data = digits()
    train, test = np.bincount(data.train_labels), np.bincount(data.test_labels)
    assert np.abs(test - (train + test) / 5).max() < 1


def test_the_split_is_the_same_every_time():
    assert np.array_equal(digits().test_images, digits().test_images)


def test_no_digit_stands_in_both_parts():
    data = digits()
    train = {image.tobytes() for image in data.train_images}
    assert not [image for image in data.test_images if image.tobytes() in train]


def test_the_scale_comes_from_the_training_pixels_alone(folder):
    data = read_folder(folder)
    assert data.scale == (data.train_images.mean(), data.train_images.std())


def test_a_folder_is_named_in_the_line(folder):
    line = f"{folder.name} (IDX files): 20 training and 10 test images of 5x5"
    assert load(folder).line == line


def test_fashion_mnist_is_told_by_its_labels(folder):
    labels = np.repeat(np.arange(10, dtype=np.uint8), 6000)
    write(folder / "train-labels-idx1-ubyte.gz", labels)
    write(folder / "train-images-idx3-ubyte.gz", np.zeros((60000, 5, 5), dtype=np.uint8))
    assert read_folder(folder).name == "Fashion-MNIST"


def test_constant_images_are_not_divided_by_zero(folder):
    write(folder / "train-images-idx3-ubyte.gz", np.full((20, 5, 5), 7, dtype=np.uint8))
    assert read_folder(folder).scale == (7.0, 1.0)


def test_a_missing_folder_says_where_the_files_are_published(tmp_path):
    with pytest.raises(UsageError, match=r"is not a folder.*curl -O https://.*idx3-ubyte.gz"):
        load(tmp_path / "none")


def test_a_missing_file_is_named(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UsageError, match="has no t10k-labels-idx1-ubyte"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("train-labels-idx1", np.zeros(19, dtype=np.uint8), "20 train images but 19 labels"),
        ("t10k-images-idx3", np.zeros((10, 4, 4), dtype=np.uint8), "differ in size"),
        ("t10k-labels-idx1", np.full(10, 11, dtype=np.uint8), "a test label is 11"),
    ],
)
def test_files_of_different_data_sets_are_refused(folder, file, array, message):
    write(folder / f"{file}-ubyte.gz", array)
    with pytest.raises(UsageError, match=message):
        read_folder(folder)
