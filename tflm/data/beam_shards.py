"""The shards of a store (shards.py), built by an Apache Beam pipeline: on whatever runner the user has.

Beam decides which worker builds which shard, and does again what failed; a shard that is there is not built twice.
Every worker needs tflm, the text, the tokenizer's folder and the folder of the shards, all under the same paths.

Importing this module needs the extra `beam`.
"""

import re
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tflm import config as configs
from tflm.data import corpora
from tflm.data.corpora import DataConfig
from tflm.data.encoded_text import Share
from tflm.data.shards import build_shard_of, missing
from tflm.data.store import StoreText
from tflm.errors import UserError
from tflm.text import tokenizer as tokenizers


def build_shards(
    text: StoreText, tokenizer_folder, folder, count: int, runner: str, options: list[str]
) -> None:
    """Builds `count` shards of a text, those that are missing.

    Args:
        text: as the workers must find it, too.
        tokenizer_folder: where its tokenizer was saved.
        folder: of the shards.
        runner: a name that Beam knows, for example "DirectRunner".
        options: further flags of Beam and of the runner.

    Raises:
        UserError: where a shard could not be built, or the pipeline not be run.
    """
    lacking = missing(Path(folder) / text.fingerprint, count)
    build = BuildShard(
        configs.to_dict(text.config), str(tokenizer_folder), str(folder), text.fingerprint
    )
    try:
        arguments = [f"--runner={runner}", *options]
        with beam.Pipeline(options=PipelineOptions(arguments)) as pipeline:
            shares = pipeline | "shares" >> beam.Create([tuple(share) for share in lacking])
            _ = shares | "spread" >> beam.Reshuffle() | "build" >> beam.ParDo(build)
    except Exception as error:  # Runners wrap what a worker raised each in their own way.
        raise UserError(f"The Beam pipeline failed: {_in_one_line(error)}") from error


class BuildShard(beam.DoFn):
    """From a share to the shard, in the folder of shards; nothing comes out.

    Args:
        config: a DataConfig as plain values.
        tokenizer_folder, folder: as in `build_shards`.
        fingerprint: what the worker must find, too.
    """

    def __init__(self, config: dict, tokenizer_folder: str, folder: str, fingerprint: str):
        # Beam runs as many of these at a time as it wants.
        self._config = config | {"workers": 1}
        self._tokenizer_folder, self._folder = tokenizer_folder, folder
        self._fingerprint = fingerprint

    def setup(self):
        config = configs.from_dict(DataConfig, self._config, "data")
        tokenizer = tokenizers.load(self._tokenizer_folder)
        self._text = StoreText(config, tokenizer, corpora.cache_folder())
        if self._text.fingerprint != self._fingerprint:
            raise UserError(
                "A worker has another text, tokenizer or version of tflm than the machine that started the pipeline. "
                "Give all of them the same, under the same paths."
            )

    def process(self, share):
        build_shard_of(self._text, Path(self._folder), Share(*share))
        return ()


def _in_one_line(error: Exception) -> str:
    """What a UserError said, however deep a runner has wrapped it; else the last line."""
    said = re.findall(r"UserError: (.+)", str(error))
    lines = said or str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].partition(" [while running")[0]
