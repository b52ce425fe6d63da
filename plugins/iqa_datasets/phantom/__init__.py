"""The phantom: simulated brain MRI, errors of known severity, simulated raters. Nobody was scanned for it."""
