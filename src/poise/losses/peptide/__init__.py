"""Losses for the sequence of a peptide from its spectrum; masses in Da, relative errors in ppm."""

from poise.losses.peptide.expected import expected_residue_masses as expected_residue_masses
from poise.losses.peptide.expected import peptide_mass as peptide_mass
from poise.losses.peptide.expected import renormalised_residue_masses as renormalised_residue_masses
from poise.losses.peptide.expected import residue_mask as residue_mask
from poise.losses.peptide.masses import RESIDUE_DA as RESIDUE_DA
from poise.losses.peptide.masses import SPECIAL as SPECIAL
from poise.losses.peptide.masses import IonMasses as IonMasses
from poise.losses.peptide.masses import ion_masses as ion_masses
from poise.losses.peptide.masses import residue_masses as residue_masses
from poise.losses.peptide.precursor import mass_error_ppm as mass_error_ppm
from poise.losses.peptide.precursor import precursor_clamped_ppm as precursor_clamped_ppm
from poise.losses.peptide.precursor import precursor_huber as precursor_huber
from poise.losses.peptide.precursor import precursor_l1_da as precursor_l1_da
from poise.losses.peptide.precursor import precursor_log_ppm as precursor_log_ppm
from poise.losses.peptide.spectrum import fragment_mz as fragment_mz
from poise.losses.peptide.spectrum import spectrum_match as spectrum_match
from poise.losses.peptide.supervision import deep_supervision as deep_supervision
