"""L3: what was placed against what was planned; the judge of safety says what that means."""
