"""The trainer in a browser: a door that checks who comes, one server a visitor, and pages that only draw."""
