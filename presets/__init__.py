"""Ships presets and live sets, one YAML file each. Data only."""
