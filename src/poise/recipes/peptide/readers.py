"""Annotated spectra from MGF and mzML files, through pyteomics."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from gzip import GzipFile
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, cast, final

from poise.errors import MissingExtraError, RecipeError
from poise.losses.peptide import ion_masses
from poise.recipes.peptide.data import RESIDUES, Spectrum, spectrum_of

LONGEST = 30
"""Residues of the longest peptide that is taken."""
_NAMES = ("seq", "sequence", "peptide")
"""What a file may call the peptide; the first that is there counts."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What a file says of one spectrum; None where it says nothing."""

    title: str
    peptide: str | None
    mz: float | None
    charge: int | None
    peaks: Sequence[tuple[float, float]]


def read_spectra(path: Path) -> list[Spectrum]:
    r"""All spectra of a file with the peptides they are of.

    MGF names the peptide in SEQ, SEQUENCE or PEPTIDE, mzML in a user parameter of that name (in
    any case) of the spectrum. Spectra of level 1 are left out. There is no token for a modified
    residue: a peptide with one is refused.

    Args:
        path: A file whose name ends in `.mgf` or `.mzml`, in any case.

    Returns:
        At least one spectrum.

    Raises:
        RecipeError: The file is of another kind, cannot be parsed or is empty, or a spectrum lacks
            its peptide, its precursor, its charge or its peaks.

    Example:
        >>> import tempfile
        >>> text = (
        ...     "BEGIN IONS\nSEQ=GAK\nPEPMASS=138.09\nCHARGE=2+\n58.03 10\n147.11 90\nEND IONS\n"
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "one.mgf"
        ...     _ = path.write_text(text)
        ...     found = read_spectra(path)
        >>> found[0].peptide, found[0].charge, round(found[0].precursor_da, 2)
        ('GAK', 2, 274.17)
    """
    kind = path.suffix.lower()
    if kind not in (".mgf", ".mzml"):
        raise RecipeError(f"{path}: expected a file that ends in .mgf or .mzml; convert it")
    with _parsing(path):
        entries = list(_mgf(path) if kind == ".mgf" else _mzml(path))
    if not entries:
        raise RecipeError(f"{path}: expected at least one spectrum, got none; is the file whole?")
    return [_spectrum(path, number, one) for number, one in enumerate(entries, 1)]


@contextmanager
def _parsing(path: Path) -> Generator[None]:
    """Says which file it was that pyteomics could not parse."""
    parsing = import_module("pyteomics.auxiliary").PyteomicsError
    syntax = import_module("lxml.etree").XMLSyntaxError
    try:
        yield
    except (parsing, syntax, OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())
        raise RecipeError(
            f"{path}: expected spectra that pyteomics can parse, got {said}; correct the file"
        ) from error


def _mgf(path: Path) -> Iterator[_Entry]:
    reader = import_module("pyteomics.mgf").MGF
    with (
        path.open(encoding="utf-8") as file,
        reader(file, use_header=False, convert_arrays=0) as found,
    ):
        for entry in found:
            if entry is None:  # the end of a file that lacks its last END IONS
                raise ValueError("BEGIN IONS without END IONS")
            told = cast(Mapping[str, Any], entry["params"])
            yield _Entry(
                title=str(told.get("title", "")),
                peptide=next((str(told[name]) for name in _NAMES if told.get(name)), None),
                mz=(told.get("pepmass") or (None,))[0],
                charge=(told.get("charge") or (None,))[0],
                peaks=list(zip(entry["m/z array"], entry["intensity array"], strict=True)),
            )


def _mzml(path: Path) -> Iterator[_Entry]:
    reader = import_module("pyteomics.mzml").MzML
    with path.open("rb") as file, reader(file, use_index=False, cv=_words()) as found:
        for entry in found:
            if entry.get("ms level") == 1:
                continue
            told = {str(key).lower(): value for key, value in entry.items()}
            ion = _selected(entry)
            yield _Entry(
                title=str(entry.get("id", "")),
                peptide=next((str(told[name]) for name in _NAMES if told.get(name)), None),
                mz=None if "selected ion m/z" not in ion else float(ion["selected ion m/z"]),
                charge=None if "charge state" not in ion else int(ion["charge state"]),
                peaks=[
                    (float(mz), float(height))
                    for mz, height in zip(
                        entry.get("m/z array", ()), entry.get("intensity array", ()), strict=True
                    )
                ],
            )


@cache
def _words() -> Any:  # noqa: ANN401 -- a class without types
    """The controlled vocabulary of mzML as psims ships it.

    psims by itself, and so pyteomics, would first try to download a newer one.
    """
    try:
        psims = import_module("psims.controlled_vocabulary.controlled_vocabulary")
    except ModuleNotFoundError as error:
        message = "mzML is read with psims, which is not installed: pip install 'poise[recipes]'"
        raise MissingExtraError(message) from error
    shipped = files("psims.controlled_vocabulary.vendor") / "psi-ms.obo.gz"
    with shipped.open("rb") as packed, GzipFile(fileobj=packed) as text:
        return psims.ControlledVocabulary.from_obo(text)


def _selected(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first selected ion of the first precursor; empty if there is none."""
    precursors = entry.get("precursorList", {}).get("precursor", ())
    ions = precursors[0].get("selectedIonList", {}).get("selectedIon", ()) if precursors else ()
    return ions[0] if ions else {}


def _spectrum(path: Path, number: int, entry: _Entry) -> Spectrum:
    who = f"{path}: spectrum {number}" + (f" ({entry.title})" if entry.title else "")
    if entry.peptide is None:
        raise RecipeError(
            f"{who}: expected its peptide in SEQ, got none; recipes train on annotated spectra, "
            "so add a line such as SEQ=PEPTIDEK"
        )
    unknown = sorted({one for one in entry.peptide if one not in RESIDUES})
    if unknown or not 2 <= len(entry.peptide) <= LONGEST:
        raise RecipeError(
            f"{who}: expected a peptide of 2 to {LONGEST} of the residues {''.join(RESIDUES)}, got "
            f"{entry.peptide!r}; leave out modified and longer peptides"
        )
    if entry.charge is None or entry.charge < 1:
        raise RecipeError(
            f"{who}: expected a charge of at least 1, got {entry.charge}; add a line such as "
            "CHARGE=2+"
        )
    if entry.mz is None or not entry.mz > 0:
        raise RecipeError(
            f"{who}: expected the m/z of its precursor above 0, got {entry.mz}; add a line such as "
            "PEPMASS=464.75"
        )
    peaks = [(float(mz), float(height)) for mz, height in entry.peaks if mz > 0 and height > 0]
    if not peaks:
        raise RecipeError(f"{who}: expected at least one peak above 0, got none; leave it out")
    neutral = (float(entry.mz) - ion_masses().proton_da) * entry.charge
    return spectrum_of(entry.peptide, peaks, neutral, int(entry.charge))
