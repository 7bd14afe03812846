"""Tables, for a terminal or for a Markdown page."""


def print_table(table: list[list[str]], markdown: bool) -> None:
    """Print lines of cells, the headings first."""
    if markdown:
        lines = [table[0], ["---"] * len(table[0]), *table[1:]]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
        return
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
