"""The file behind lattice=unit_cell: in YAML or JSON (`unit_cell`), or a lattice library of ALPS (`alps`)."""

from __future__ import annotations

from pathlib import Path

from nqs_hpc.inputs import reading
from nqs_hpc.system import alps
from nqs_hpc.system.unit_cell import UnitCell, factory_of, of_mapping


def read_unit_cell(path: str | Path, name: str | None) -> UnitCell:
    """The unit cell of a file; ``name`` is that of a lattice graph or unit cell of ALPS. ValueError in one line."""
    try:
        text = reading.text(path, reading.MIB, follow=True)
        if text.lstrip().startswith("<"):
            found = alps.read(text, name)
        elif name is not None:
            raise ValueError(f"lattice.unit={name} is of a file of ALPS, and this is none")
        else:
            is_json = str(path).endswith(".json")
            found = of_mapping(reading.parse_json(text) if is_json else reading.parse_yaml(text))
        factory_of(found.vectors, found.basis, found.bonds)
    except OSError as error:
        raise ValueError(f"lattice.file={path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"lattice.file={path}: {error}") from None
    return found
