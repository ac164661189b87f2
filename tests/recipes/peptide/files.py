"""Small files of spectra, made by the tests that read them."""

import base64
from array import array
from pathlib import Path

from poise.losses.peptide import ion_masses
from poise.recipes.peptide.data import residue_table


def entry(peptide: str, *, charge: int = 2) -> str:
    """One spectrum of an MGF: the b ions of a peptide, all of the same height."""
    table, ions = residue_table(), ion_masses()
    weights = [table[one] for one in peptide]
    mz = (sum(weights) + ions.water_da) / charge + ions.proton_da
    peaks = [f"{sum(weights[:i]) + ions.proton_da:.5f} 10" for i in range(1, len(weights))]
    lines = [f"SEQ={peptide}", f"PEPMASS={mz:.5f}", f"CHARGE={charge}+", *peaks]
    return "\n".join(("BEGIN IONS", *lines, "END IONS"))


def write_mgf(path: Path, entries: list[str]) -> Path:
    """An MGF of these spectra."""
    path.write_text("\n".join(entries) + "\n")
    return path


def numbers(values: list[float]) -> str:
    """A binary array as mzML holds it: float64, base64."""
    return base64.b64encode(array("d", values).tobytes()).decode()


def write_mzml(path: Path, *, sequence: str | None = "GAK", charge: str | None = "2") -> Path:
    """An mzML with a survey scan and one annotated fragment spectrum."""
    user = "" if sequence is None else f'<userParam name="sequence" value="{sequence}"/>'
    told = (
        ""
        if charge is None
        else f'<cvParam accession="MS:1000041" name="charge state" value="{charge}"/>'
    )
    path.write_text(
        f"""<?xml version="1.0" encoding="utf-8"?>
<mzML xmlns="http://psi.hupo.org/ms/mzml" version="1.1.0"><run id="r"><spectrumList count="2">
<spectrum index="0" id="scan=1" defaultArrayLength="0">
  <cvParam accession="MS:1000511" name="ms level" value="1"/>
</spectrum>
<spectrum index="1" id="scan=2" defaultArrayLength="2">
  <cvParam accession="MS:1000511" name="ms level" value="2"/>{user}
  <precursorList count="1"><precursor><selectedIonList count="1"><selectedIon>
    <cvParam accession="MS:1000744" name="selected ion m/z" value="138.0945"/>{told}
  </selectedIon></selectedIonList></precursor></precursorList>
  <binaryDataArrayList count="2">
    <binaryDataArray><cvParam accession="MS:1000523" name="64-bit float"/>
      <cvParam accession="MS:1000576" name="no compression"/>
      <cvParam accession="MS:1000514" name="m/z array"/>
      <binary>{numbers([58.0287, 147.1128])}</binary></binaryDataArray>
    <binaryDataArray><cvParam accession="MS:1000523" name="64-bit float"/>
      <cvParam accession="MS:1000576" name="no compression"/>
      <cvParam accession="MS:1000515" name="intensity array"/>
      <binary>{numbers([10.0, 40.0])}</binary></binaryDataArray>
  </binaryDataArrayList>
</spectrum>
</spectrumList></run></mzML>
"""
    )
    return path
