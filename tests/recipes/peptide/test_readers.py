"""MGF and mzML, whole and broken."""

from pathlib import Path

import pytest

from poise.errors import RecipeError
from poise.recipes.peptide.readers import read_spectra
from tests.recipes.peptide.files import entry, write_mgf, write_mzml

GAK_DA = 274.164
"""Neutral mass of the peptide GAK."""


def test_an_mgf_is_read(tmp_path: Path) -> None:
    """Peptide, charge, neutral mass and peaks of each spectrum, in the order of the file."""
    path = write_mgf(tmp_path / "two.MGF", [entry("GAK"), entry("WW", charge=1)])
    first, second = read_spectra(path)
    assert (first.peptide, first.charge, second.peptide, second.charge) == ("GAK", 2, "WW", 1)
    assert first.precursor_da == pytest.approx(GAK_DA, abs=1e-3)
    assert first.mz == pytest.approx((58.02874, 129.06585), abs=1e-4)
    assert first.intensity == (1.0, 1.0)


def test_an_mzml_is_read(tmp_path: Path) -> None:
    """The survey scan is left out; intensities are relative to the largest."""
    (one,) = read_spectra(write_mzml(tmp_path / "one.mzML"))
    assert (one.peptide, one.charge) == ("GAK", 2)
    assert one.precursor_da == pytest.approx(GAK_DA, abs=0.02)
    assert one.mz == pytest.approx((58.0287, 147.1128))
    assert one.intensity == pytest.approx((0.25, 1.0))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("SEQ=GAK\n", "", r"spectrum 1: expected its peptide in SEQ, got none.*SEQ=PEPTIDEK"),
        ("SEQ=GAK", "TITLE=q7\nSEQ=GA[+57]K", r"spectrum 1 \(q7\).*got 'GA\[\+57\]K'.*modified"),
        ("SEQ=GAK", "SEQ=G", r"a peptide of 2 to 30 of the residues.*got 'G'"),
        ("CHARGE=2+\n", "", r"a charge of at least 1, got None.*CHARGE=2\+"),
        ("CHARGE=2+", "CHARGE=0+", r"a charge of at least 1, got 0"),
        ("CHARGE=2+", "CHARGE=two", r"that pyteomics can parse, got .*'two'.*correct the file"),
        ("PEPMASS=138.08931", "PEPMASS=-1", r"m/z of its precursor above 0, got -1"),
        ("PEPMASS=138.08931\n", "", r"m/z of its precursor above 0, got None"),
        (" 10", " 0", r"at least one peak above 0, got none"),
        ("58.02874 10", "58.02874 ten", r"that pyteomics can parse"),
        ("END IONS", "", r"BEGIN IONS without END IONS"),
    ],
)
def test_what_is_wrong_with_an_mgf_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    """One line with the file, the spectrum, what was expected, what was there and what to do."""
    text = entry("GAK")
    if old == "PEPMASS=138.08931" or old == "PEPMASS=138.08931\n":
        line = next(one for one in text.splitlines() if one.startswith("PEPMASS"))
        old = old.replace("PEPMASS=138.08931", line)
    assert old in text
    path = write_mgf(tmp_path / "a.mgf", [text.replace(old, new)])
    with pytest.raises(RecipeError, match=said) as caught:
        read_spectra(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_the_second_spectrum_is_named_by_its_number(tmp_path: Path) -> None:
    """Not the first, which is fine."""
    broken = entry("GAK").replace("SEQ=GAK\n", "")
    with pytest.raises(RecipeError, match="spectrum 2: expected its peptide"):
        read_spectra(write_mgf(tmp_path / "a.mgf", [entry("GAK"), broken]))


def test_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    """No spectrum, no known ending, no XML."""
    empty = tmp_path / "empty.mgf"
    empty.write_text("")
    with pytest.raises(RecipeError, match="expected at least one spectrum, got none"):
        read_spectra(empty)
    with pytest.raises(RecipeError, match=r"a file that ends in .mgf or .mzml; convert it"):
        read_spectra(tmp_path / "a.raw")
    with pytest.raises(RecipeError, match=r"No such file"):
        read_spectra(tmp_path / "a.mgf")
    broken = tmp_path / "a.mzML"
    broken.write_text("no xml")
    with pytest.raises(RecipeError, match="that pyteomics can parse"):
        read_spectra(broken)


def test_an_mzml_without_annotation_or_charge_is_refused(tmp_path: Path) -> None:
    """As most are: they come straight from the instrument."""
    with pytest.raises(RecipeError, match=r"spectrum 1 \(scan=2\): expected its peptide"):
        read_spectra(write_mzml(tmp_path / "a.mzML", sequence=None))
    with pytest.raises(RecipeError, match="expected a charge of at least 1, got None"):
        read_spectra(write_mzml(tmp_path / "b.mzML", charge=None))
