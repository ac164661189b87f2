"""Rules look at a run; what they see becomes findings."""

from poise.doctor.diagnose import diagnose as diagnose
from poise.doctor.diagnosis import Diagnosis as Diagnosis
from poise.doctor.diagnosis import NotChecked as NotChecked
from poise.doctor.finding import Evidence as Evidence
from poise.doctor.finding import Fault as Fault
from poise.doctor.finding import Finding as Finding
from poise.doctor.finding import Severity as Severity
from poise.doctor.rule import Need as Need
from poise.doctor.rule import Rule as Rule
