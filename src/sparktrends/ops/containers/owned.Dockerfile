# Somebody else's image, and in it the folder of its data, its user's own. A new volume takes the owner of what lies at its
# place in the image, and is root's where nothing does; the user of these images is not root.
ARG IMAGE

FROM ${IMAGE}
ARG FOLDER
ARG OWNER
USER root
RUN mkdir -p "${FOLDER}" && chown "${OWNER}" "${FOLDER}"
USER ${OWNER}
