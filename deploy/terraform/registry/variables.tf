variable "project" {
  description = "The project of images and identities."
  type        = string
}

variable "region" {
  description = "Where images are kept."
  type        = string
}

variable "github_repository_id" {
  description = "The number of our repository at GitHub: a name can be given away, a number cannot."
  type        = string
}

variable "images_kept" {
  description = "How many of the latest images are kept however old they are."
  type        = number
  default     = 20
}
