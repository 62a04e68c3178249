include "root" {
  path = find_in_parent_folders("root.hcl")
}

include "platform" {
  path = find_in_parent_folders("platform.hcl")
}
