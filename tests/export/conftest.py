"""One run a family, and its SavedModel written once for all tests of a process."""

import pytest

from tests import zoo


@pytest.fixture(scope="session", params=list(zoo.ZOO))
def zoo_run(request):
    """A run of every family in turn."""
    from tests.export.fake_run import fake_run

    return fake_run(request.param)


@pytest.fixture(scope="session")
def loaded_saved_model(zoo_run, tmp_path_factory):
    """The SavedModel of zoo_run, loaded."""
    import tensorflow as tf

    from export import saved_model

    folder = tmp_path_factory.mktemp("saved_model")
    saved_model.write(zoo_run, folder, "none", None)
    loaded = tf.saved_model.load(str(folder / "1"))
    loaded.folder = folder / "1"
    return loaded
