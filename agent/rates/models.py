"""The forests this agent scores with: newest revision of each workload, kept on disk over restarts."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from detection.errors import ForestError
from detection.rates.codec import MAX_BYTES, model_from
from detection.rates.model import RateModel

log = logging.getLogger(__name__)

_SUFFIX = ".forest"
Key = tuple[str, str]  # workload, version


class Models:
    """At most `limit` models; beyond it the one unused for longest goes. `directory` None: in memory only."""

    def __init__(self, directory: Path | None, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._models: dict[Key, RateModel] = {}
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._models)

    def load(self) -> None:
        """Read those on disk. A broken one is counted, said and removed: the collector sends it again."""
        if self._directory is None or not self._directory.is_dir():
            return
        for path in sorted(self._directory.glob(f"*{_SUFFIX}"))[: self._limit]:
            try:
                with path.open("rb") as file:
                    model = model_from(file.read(MAX_BYTES + 1))
            except (OSError, ForestError) as error:
                self.counts["broken"] += 1
                log.warning("%s: %s; it is removed, the collector will send another", path, error)
                path.unlink(missing_ok=True)
                continue
            self._models[model.workload, model.version] = model

    def get(self, key: Key) -> RateModel | None:
        """The model to score this workload with."""
        model = self._models.pop(key, None)
        if model is not None:
            self._models[key] = model  # in order of use
        return model

    def revisions(self) -> Mapping[Key, int]:
        """What is held."""
        return {key: model.revision for key, model in self._models.items()}

    def adopt(self, key: Key, body: bytes) -> str:
        """Take a model from the collector; "" or why not."""
        try:
            model = model_from(body)
        except ForestError as error:
            self.counts["refused"] += 1
            return str(error)
        if (model.workload, model.version) != key:
            self.counts["refused"] += 1
            return f"a forest of {model.workload[:200]!r} came for {key[0][:200]!r}"
        self._models.pop(key, None)
        while len(self._models) >= self._limit:
            self._forget(next(iter(self._models)))
        self._models[key] = model
        self.counts["adopted"] += 1
        self._write(key, body)
        return ""

    def _forget(self, key: Key) -> None:
        del self._models[key]
        self.counts["evicted"] += 1
        if self._directory is not None:
            self._path(self._directory, key).unlink(missing_ok=True)

    def _write(self, key: Key, body: bytes) -> None:
        if self._directory is None:
            return
        path = self._path(self._directory, key)
        new = path.with_suffix(f".{os.getpid()}")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_bytes(body)
            new.replace(path)
        except OSError as error:
            self.counts["unsaved"] += 1
            log.error("%s: %s; the forest is kept in memory only", path, error)

    @staticmethod
    def _path(directory: Path, key: Key) -> Path:
        name = hashlib.blake2b("\0".join(key).encode("utf-8", "replace"), digest_size=16).hexdigest()
        return directory / f"{name}{_SUFFIX}"
