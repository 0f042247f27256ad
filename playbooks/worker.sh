#!/bin/sh
# Digests items: one in $FLEETWRIGHT_ITEM, or a batch as JSON strings on standard input, one a line.
# An item is a path below $ITEMS, or a byte range of it: path#from-to (to is exclusive).
# Writes one record per item (path, bytes, sha256; tab-separated) under a name made from the item, so that an item that is
# worked on twice still leaves one record.
set -eu
items=${ITEMS:-/srv/items}
results=${RESULTS:-/srv/results}

digest() {
    item=$1
    name=$(printf %s "$item" | sha256sum | cut -c1-64)
    part=$results/.$name.$$
    case $item in
    *'#'*)
        path=${item%#*}
        range=${item##*#}
        from=${range%-*}
        to=${range#*-}
        tail -c "+$((from + 1))" "$items/$path" | head -c "$((to - from))" >"$part.bytes"
        ;;
    *)
        cat "$items/$item" >"$part.bytes"
        ;;
    esac
    bytes=$(wc -c <"$part.bytes" | tr -d ' ')
    sha=$(sha256sum <"$part.bytes" | cut -c1-64)
    printf '%s\t%s\t%s\n' "$item" "$bytes" "$sha" >"$part"
    rm -f "$part.bytes"
    mv "$part" "$results/$name"
}

if [ -n "${FLEETWRIGHT_ITEM:-}" ]; then
    digest "$FLEETWRIGHT_ITEM"
else
    while IFS= read -r line; do
        item=$(printf %s "$line" | sed -e 's/^"//' -e 's/"$//' -e 's/\\\(["\\/]\)/\1/g')
        digest "$item"
    done
fi
