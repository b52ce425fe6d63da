"""What datasets of volumes have in common: pairs of two modalities, or of a modality and its synthesized images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from iqa_datasets._subjects import (
    Candidate,
    Files,
    NameFinder,
    Naming,
    describe_candidate,
    find_subjects,
    split_subjects,
    walk,
)
from iqa_datasets._volumes import (
    File,
    Strip,
    Volume,
    lazy_mask,
    lazy_mask_section,
    lazy_section,
    lazy_volume,
    on_one_grid,
    read_grid,
)
from iqa_registry.plugin import Dataset, Group, ImageError, LazyImage, Pair, Subject, UsageError, stem, suffix

T = TypeVar("T")


class Settings(BaseModel):
    """What a user asks of a cohort: the parameters that all of them have. A dataset narrows them and adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="the folder that it lies in, at any depth")
    source: str = Field("t1", description="modality that is translated")
    target: str = Field("t2", description="modality that is synthesized")
    slices: str = Field(
        "50:80",
        pattern=r"^(-?\d*:-?\d*|all)$",
        description="slices that are scored, as in Python, or all",
    )
    size: int | Literal["none"] = Field(
        256,
        description="side in the axial plane after padding with zeros or cropping centrally; 0 or none leaves it",
    )
    resample: bool = Field(
        False, description="resample the other modalities to the grid of the target (linear)"
    )
    split: Literal["all", "train", "test"] = Field("all", description="which part of the subjects")
    seed: int = Field(0, description="of the split, 80/20 by subject")
    synthesized: Path | None = Field(
        None,
        description="folder of synthesized images of the target, found by subject and -slice-N in their names; "
        "without it the source itself is scored, as it is",
    )

    @property
    def mask_folder(self) -> Path | None:
        """Where brain masks are, for datasets that take them."""
        return getattr(self, "masks", None)

    @property
    def skull(self) -> Strip:
        """How the skull is taken off, for datasets that can."""
        return getattr(self, "strip", "none")

    @property
    def side(self) -> int:
        """The side in the axial plane, 0 for as it is."""
        return self.size if isinstance(self.size, int) else 0

    @property
    def range(self) -> str | None:
        """The slices as a pair has them."""
        return None if self.slices in ("all", ":") else self.slices

    def check(self) -> None:
        """Reject what contradicts itself.

        Raises:
            UsageError: no pair can come of it.
        """
        if self.side < 0:
            raise UsageError(f"size={self.size}: expected a number of voxels, or 0 for the size as it is.")
        if self.source == self.target and self.synthesized is None:
            raise UsageError(
                f"source={self.source},target={self.target}: a modality against itself; choose two, "
                "or give synthesized=FOLDER."
            )
        if self.mask_folder is not None and self.skull != "none":
            raise UsageError(
                f"masks={self.mask_folder} and strip={self.skull} contradict each other; choose one."
            )
        for name, folder in (("masks", self.mask_folder), ("synthesized", self.synthesized)):
            if folder is not None and not folder.is_dir():
                raise UsageError(f"{name}={folder}: no such folder.")


class Cohort(Dataset):
    """Volumes of several modalities per subject."""

    naming: Naming
    label: str
    """The group column ``dataset``."""
    optional: tuple[str, ...] = ()
    """What a subject may lack, but may not have twice."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        settings.check()
        self.path = settings.path
        self.settings = settings

    @cached_property
    def found(self) -> dict[str, Files]:
        """The files of each subject."""
        return find_subjects(self.path, self.naming)

    @cached_property
    def parts(self) -> dict[str, str]:
        """Which part of the split each subject is in; all that have any file take part in it."""
        return split_subjects(self.found, self.settings.seed)

    def pairs(self) -> Iterator[Pair]:
        """The pairs of volumes in order of the subjects, or of the synthesized images' names.

        Raises:
            UsageError: there are no files as published, or no pair comes of them.
        """
        self.left_out = []
        if self.settings.synthesized is None:
            made = self._untranslated()
        else:
            made = self._synthesized(self.settings.synthesized)
        yield from self._not_empty(made, "pair")

    def _not_empty(self, made: Iterator[T], what: str) -> Iterator[T]:
        nothing = True
        for item in made:
            nothing = False
            yield item
        if nothing:
            reasons = "; ".join(self.left_out[:3]) or f"split={self.settings.split} has none"
            more = f" (and {len(self.left_out) - 3} more)" if len(self.left_out) > 3 else ""
            raise UsageError(f"{self.path}: no {what} comes of {len(self.found)} subjects: {reasons}{more}.")

    def _chosen(self, needed: tuple[str, ...]) -> Iterator[Files]:
        """The subjects of the part that have what is needed; the others are named in :attr:`left_out`."""
        for files in self.found.values():
            if self.settings.split not in ("all", self.parts[files.subject]):
                continue
            present = [name for name in self.optional if name in files.by_modality]
            problems = [problem for name in (*needed, *present) if (problem := files.problem(name))]
            if not problems and self.settings.mask_folder is not None:
                problems = self._mask_problem(files.subject)
            if problems:
                self.left_out += problems
                continue
            yield files

    def _untranslated(self) -> Iterator[Pair]:
        """Every subject's source as it is: the floor that any translation must beat."""
        for files in self._chosen((self.settings.source, self.settings.target)):
            first, second = (
                self.volume(files, name) for name in (self.settings.source, self.settings.target)
            )
            yield Pair(
                pair_id=_name(files, self.settings.target),
                synthesized=lazy_volume(first),
                reference=lazy_volume(second),
                mask=self.pair_mask(files, second),
                labels=self.pair_labels(files),
                groups=self._groups(files, "untranslated"),
                slices=self.settings.range,
            )

    def _synthesized(self, folder: Path) -> Iterator[Pair]:
        chosen = {files.subject: files for files in self._chosen((self.settings.target,))}
        wanted: dict[tuple[object, ...], list[Candidate]] = {}
        for candidate in self._candidates(folder):
            if candidate.subject in chosen:
                key = (candidate.model, candidate.epoch, candidate.subject, candidate.slice)
                wanted.setdefault(key, []).append(candidate)
        for (model, *_), candidates in wanted.items():
            if len(candidates) > 1:
                named = " and ".join(str(item.path) for item in candidates)
                self.left_out.append(
                    f"{candidates[0].subject}: {named} are the same image of {model}; keep one"
                )
                continue
            yield self._candidate_pair(candidates[0], chosen[candidates[0].subject])
        seen = {candidate.subject for candidates in wanted.values() for candidate in candidates}
        self.left_out += [
            f"{name}: has no synthesized image in {folder}" for name in chosen if name not in seen
        ]

    def _candidates(self, folder: Path) -> Iterator[Candidate]:
        finder = NameFinder(self.found)
        for path in walk(folder):
            if not suffix(path):
                continue
            relative = path.relative_to(folder)
            subject = finder(path.name) or finder(str(relative.parent))
            published = self.naming.pattern.fullmatch(path.name)
            if subject is None:
                self.left_out.append(f"{path}: its name has no subject of {self.path}")
            elif published and self.naming.modality(published["modality"]) != self.settings.target:
                self.left_out.append(
                    f"{path}: is {published['modality'].lower()} by its name, the target is {self.settings.target}"
                )
            else:
                name = relative.with_name(stem(path)).as_posix()
                yield describe_candidate(path, folder, subject, name)

    def _candidate_pair(self, candidate: Candidate, files: Files) -> Pair:
        target = self.volume(files, self.settings.target)
        groups = self._groups(files, candidate.model)
        if candidate.epoch is not None:
            groups["epoch"] = candidate.epoch
        if candidate.slice is None:
            return Pair(
                pair_id=candidate.name,
                synthesized=lazy_volume(self.volume(files, self.settings.target, candidate.path)),
                reference=lazy_volume(target),
                mask=self.pair_mask(files, target),
                labels=self.pair_labels(files),
                groups=groups,
                slices=self.settings.range,
            )
        return Pair(
            pair_id=candidate.name,
            synthesized=str(candidate.path),
            reference=lazy_section(target, candidate.slice),
            mask=self.pair_mask(files, target, candidate.slice),
            labels=self.pair_labels(files, candidate.slice),
            groups=groups | {"slice": candidate.slice},
        )

    @abstractmethod
    def pair_mask(self, files: Files, target: Volume, index: int | None = None) -> LazyImage | None:
        """The mask of a pair, or of one slice of it."""

    def pair_labels(self, files: Files, index: int | None = None) -> LazyImage | None:
        """The label map of a pair, or of one slice of it; by default there is none."""
        return None

    def brain_mask(self, target: Volume, index: int | None = None) -> LazyImage | None:
        """The brain mask where there is one."""
        if not target.is_stripped:
            return None
        return lazy_mask(target) if index is None else lazy_mask_section(target, index)

    def volume(self, files: Files, modality: str, path: Path | None = None) -> Volume:
        """How an image of a subject is made; ``path`` stands in for the published file."""
        settings = self.settings
        is_target = path is None and modality == settings.target
        return Volume(
            file=File.of(path or files.path(modality)),
            target=File.of(files.path(settings.target)),
            size=settings.side,
            resample=settings.resample and not is_target,
            strip=settings.skull,
            mask=self._mask_file(files.subject),
        )

    def label_volume(self, files: Files, modality: str) -> Volume:
        """How a label map of a subject is made."""
        target = File.of(files.path(self.settings.target))
        file = File.of(files.path(modality))
        return Volume(file, target, self.settings.side, self.settings.resample, labels=True)

    def _groups(self, files: Files, model: str) -> dict[str, Group]:
        settings = self.settings
        return {
            "dataset": self.label,
            "subject": files.subject,
            **files.groups,
            "split": self.parts[files.subject],
            "source": settings.source,
            "target": settings.target,
            "model": model,
        }

    @cached_property
    def _masks(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        finder = NameFinder(self.found)
        for path in walk(self.settings.mask_folder) if self.settings.mask_folder else ():
            subject = finder(path.name) or finder(str(path.parent))
            if suffix(path) and subject:
                found.setdefault(subject, []).append(path)
        return found

    def _mask_problem(self, subject: str) -> list[str]:
        found = self._masks.get(subject, [])
        if not found:
            return [f"{subject}: has no mask in {self.settings.mask_folder}"]
        if len(found) > 1:
            return [f"{subject}: has {len(found)} masks, {' and '.join(map(str, found))}; keep one"]
        return []

    def _mask_file(self, subject: str) -> File | None:
        return File.of(self._masks[subject][0]) if self.settings.mask_folder is not None else None

    def subjects(self) -> Iterator[Subject]:
        """The subjects in natural order, each with all modalities that lie on the target's grid.

        Raises:
            UsageError: there are no files as published, or no subject comes of them.
        """
        self.left_out = []
        yield from self._not_empty(self._subjects(), "subject to train on")

    def _subjects(self) -> Iterator[Subject]:
        for files in self._chosen((self.settings.source, self.settings.target)):
            usable = self._usable(files)
            if self.settings.source in usable and self.settings.target in usable:
                yield self.make_subject(files, usable)

    @abstractmethod
    def make_subject(self, files: Files, modalities: list[str]) -> Subject:
        """One subject with these modalities."""

    def images(self, files: Files, modalities: list[str]) -> dict[str, LazyImage]:
        """The images of a subject."""
        return {name: lazy_volume(self.volume(files, name)) for name in modalities}

    def _usable(self, files: Files) -> list[str]:
        """The modalities of a subject that can stand beside the target; the others are named."""
        usable = []
        for name in (*self.naming.modalities, *self.optional):
            if name not in files.by_modality:
                continue
            problem = files.problem(name) or self._off_grid(files, name)
            if problem:
                self.left_out.append(problem)
            else:
                usable.append(name)
        return usable

    def _off_grid(self, files: Files, modality: str) -> str | None:
        target, path = files.path(self.settings.target), files.path(modality)
        try:
            if self.settings.resample or on_one_grid(read_grid(path), read_grid(target)):
                return None
        except ImageError as error:
            return f"{files.subject}: {error}"
        return f"{files.subject}: {path} and {target} lie on two grids; give resample=true"


def _name(files: Files, modality: str) -> str:
    """The published name without the modality, say ``IXI002-Guys-0828``."""
    name = stem(files.path(modality))
    return name[: -len(modality) - 1]
